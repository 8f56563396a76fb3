using System.Collections.Immutable;
using System.Text;
using System.Text.Json.Nodes;
using McpHub.Catalog;
using McpHub.Search;
using Shared.Ledger;
using Shared.Snapshots;

namespace McpHub.Tests.Search;

public sealed class ToolIndexTests
{
    private static readonly (string Name, string Description, string[] Parameters)[] Known =
    [
        ("github__create_issue", "Create a new issue in a GitHub repository", ["owner", "repo", "title", "body"]),
        ("github__list_issues", "List issues in a GitHub repository, with filtering options", ["owner", "repo", "state"]),
        ("github__search_code", "Search for code across GitHub repositories", ["query"]),
        ("github__create_pull_request", "Create a new pull request", ["owner", "repo", "head", "base"]),
        ("github__merge_pull_request", "Merge a pull request", ["owner", "repo", "pullNumber"]),
        ("github__get_file_contents", "Get the contents of a file or folder", ["owner", "repo", "path"]),
        ("github__fork_repository", "Fork a repository to your account", ["owner", "repo"]),
        ("fs__read_text_file", "Read the complete contents of a file as text", ["path", "head", "tail"]),
        ("fs__write_file", "Create a new file or overwrite an existing one", ["path", "content"]),
        ("fs__edit_file", "Make line-based edits to a text file", ["path", "edits"]),
        ("fs__move_file", "Move or rename files and directories", ["source", "destination"]),
        ("fs__list_directory", "List all files and directories in a path", ["path"]),
        ("fs__directory_tree", "Get a recursive tree view of files and directories as JSON", ["path"]),
        ("fs__search_files", "Search recursively for files that match a pattern", ["path", "pattern"]),
        ("slack__post_message", "Post a message to a Slack channel", ["channel_id", "text"]),
        ("slack__list_channels", "List public channels in the workspace", ["limit"]),
        ("slack__add_reaction", "Add a reaction emoji to a message", ["channel_id", "timestamp", "reaction"]),
        ("db__query", "Run a read-only SQL statement", ["sql"]),
        ("db__describeTable", "Columns, types and keys of a table", ["table"]),
        ("browser__navigate", "Open an address in the browser", ["url"]),
        ("browser__click", "Click an element of the page", ["selector"]),
        ("browser__screenshot", "Take a picture of the page", ["fullPage"]),
        ("mail__sendEmail", "Send an electronic mail to recipients", ["to", "subject", "body"]),
        ("mail__search", "Find mail by sender, subject or text", ["query"]),
        ("calendar__create_event", "Put an appointment into the calendar", ["start", "end", "attendees"]),
        ("calendar__find_free_time", "Find times at which all attendees are free", ["attendees", "duration"]),
        ("weather__forecast", "Weather forecast for a place for the next days", ["latitude", "longitude"]),
        ("maps__directions", "The way from one place to another", ["origin", "destination", "mode"]),
        ("memory__create_entities", "Create entities in the knowledge graph", ["entities"]),
        ("memory__search_nodes", "Search nodes of the knowledge graph", ["query"]),
    ];

    public static TheoryData<string, string> Questions => new()
    {
        { "open an issue on github", "github__create_issue" }, { "show me all issues", "github__list_issues" }, { "find code", "github__search_code" },
        { "make a PR pull request", "github__create_pull_request" }, { "merging pull requests", "github__merge_pull_request" }, { "fork repo", "github__fork_repository" },
        { "read a file", "fs__read_text_file" }, { "save text to a new file", "fs__write_file" }, { "rename a file", "fs__move_file" }, { "listing of a directory", "fs__list_directory" },
        { "tree of folders directories", "fs__directory_tree" }, { "edit lines in file", "fs__edit_file" }, { "post to slack", "slack__post_message" }, { "which channels are there", "slack__list_channels" },
        { "react with emoji", "slack__add_reaction" }, { "run sql", "db__query" }, { "describe table columns", "db__describeTable" }, { "go to url in browser", "browser__navigate" },
        { "take screenshot", "browser__screenshot" }, { "click button element", "browser__click" }, { "send an email", "mail__sendEmail" }, { "sendemail", "mail__sendEmail" },
        { "calender event", "calendar__create_event" }, { "when are attendees free", "calendar__find_free_time" }, { "wether forcast", "weather__forecast" }, { "directions from origin", "maps__directions" },
        { "knowledge graph search", "memory__search_nodes" }, { "create entity", "memory__create_entities" },
    };

    [Theory]
    [MemberData(nameof(Questions))]
    public void Find_InOnesOwnWords_GivesTheToolAmongTheFirstThree(string question, string expected) =>
        Assert.Contains(expected, Index().Find(question, 3).Select(tool => tool.ExposedName));

    [Fact]
    public void Find_OfOneServer_GivesNoOthers() => Assert.All(Index().Find("list create search", 50, "github"), tool => Assert.Equal("github", tool.Server.Id));

    [Fact]
    public void Find_Again_GivesTheSameInTheSameOrder()
    {
        var first = Index().Find("create search list file", 50).Select(tool => tool.ExposedName).ToList();

        Assert.Equal(first, Index(reversed: true).Find("create search list file", 50).Select(tool => tool.ExposedName));
    }

    [Theory]
    [InlineData("")]
    [InlineData("!?")]
    [InlineData("zzzzqqq")]
    public void Find_Nothing_GivesNothing(string question) => Assert.Empty(Index().Find(question, 10));

    [Fact]
    public void NamesLike_AMisspeltName_GivesIt() => Assert.Equal("github__create_issue", Index().NamesLike("github_creat_isue", 3)[0]);

    private static ToolIndex Index(bool reversed = false) => new((reversed ? Known.Reverse() : Known).Select(known => Tool(known.Name, known.Description, known.Parameters)));

    private static CatalogTool Tool(string name, string description, string[] parameters)
    {
        var definition = new JsonObject
        {
            ["name"] = name,
            ["description"] = description,
            ["inputSchema"] = new JsonObject { ["type"] = "object", ["properties"] = new JsonObject(parameters.Select(parameter => KeyValuePair.Create(parameter, (JsonNode?)new JsonObject()))) },
        };
        ReadOnlyMemory<byte> bytes = Encoding.UTF8.GetBytes(definition.ToJsonString());
        return new CatalogTool
        {
            Server = new ToolManifest { Id = name[..name.IndexOf("__", StringComparison.Ordinal)], Transport = UpstreamTransport.BuiltIn, Prefix = "", Origin = "test" },
            UpstreamName = name,
            ExposedName = name,
            Definition = bytes,
            LocalName = name,
            LocalDefinition = new Lazy<ReadOnlyMemory<byte>>(bytes),
            Annotations = ImmutableDictionary<string, bool>.Empty,
            Start = new AttemptStart { Kind = CallKind.Tool, Upstream = "test", Name = name, RequestedName = name },
        };
    }
}
