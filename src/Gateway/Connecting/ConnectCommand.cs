namespace Gateway.Connecting;
internal static class ConnectCommand { public static System.CommandLine.Command Create(TextWriter o, TextWriter e) => new("connect"); }
