using Gateway.Load;

try
{
    return await new LoadRun(LoadOptions.Parse(args), Console.Out).RunAsync();
}
catch (ArgumentException exception)
{
    await Console.Error.WriteLineAsync($"{exception.Message}{Environment.NewLine}{Environment.NewLine}{LoadOptions.Usage}");
    return 2;
}
